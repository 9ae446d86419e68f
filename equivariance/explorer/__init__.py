"""The explorer: drag a translation on a local web page, and see whether the diagram commutes.

state.py                what the page asks for, checked, and what there is to choose from
fields_and_networks.py  the fields, uploaded images among them; networks and subsampling
views.py                the diagram at one translation, and along a line
answers.py              what is refused; answers as bytes and NetCDF
server.py               the web application
page/                   what the browser loads
"""
