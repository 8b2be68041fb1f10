"""The terminal UI: a Textual app over the REST client.

`startup` opens an app, `app` is the workbench, `setup` creates a first sandbox. `screens`
wire `widgets` to `services`; neither widgets nor services know a screen.
"""
