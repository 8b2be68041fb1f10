"""The agent: runs in the pods of steps, downloads sources and artifacts and uploads artifacts.

It imports no other package and as little of the standard library as possible, because it starts before every step and
each import costs time there. Run the folder itself: `python -I -S controller/agent step|source`.
"""
