"""The explorer: drag a translation on a local web page, and see whether the diagram commutes.

state.py      what the page asks for, checked           choices.py   what there is to choose from
inputs.py     the fields                                picture.py   uploaded images, decoded safely
networks.py   networks and subsampling                  views.py     the diagram at one translation, and along a line
wire.py       answers as bytes and NetCDF               server.py    the web application, guard.py what it refuses
command.py    `equivariance explore`                    page/        what the browser loads
"""
