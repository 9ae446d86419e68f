"""The explorer: drag a translation on a local web page, and see whether the diagram commutes.

state.py      what the page asks for, checked           choices.py   what there is to choose from
inputs.py     the fields, uploaded images among them    networks.py  networks and subsampling
views.py      the diagram at one translation, and       wire.py      answers as bytes and NetCDF
              along a line                              page/        what the browser loads
server.py     the web application                       guard.py     what it refuses
"""
