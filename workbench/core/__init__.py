"""What the faces of the workbench share and neither draws.

Nothing in here imports Textual, a terminal or the network: a test on `sys.modules` holds it to that.
"""
