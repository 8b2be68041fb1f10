"""The pieces of the screens. Each sends nested messages and knows nothing of the others.

What they show of a pipeline (names, messages, lines) is somebody else's text: it is
drawn as segments, after `workbench.text.sanitize`, and is never read as markup.
"""
