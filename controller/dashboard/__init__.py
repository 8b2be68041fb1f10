"""The dashboard: pages about runs, served by the API at `/ui` (docs/dashboard.md).

Pages are made on the server from the same objects, by the same functions and behind the same permissions as the REST
API's responses. They work without scripts; scripts only keep them current. `session` and `page_route` are its door,
`pages` has a module per kind of page, `views` computes what they show, `live` streams what changes.
"""
