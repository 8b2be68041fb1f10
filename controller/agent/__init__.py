"""The agent: runs in step pods, brings sources and artifacts into the workspace and takes artifacts out of it.

Standard library only, nothing of ours, and as little of the standard library as will do: it starts before every
step, so each import is paid for each time. Run the folder itself: `python -I -S controller/agent fetch|upload`.
"""
