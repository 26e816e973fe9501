"""Models in files of Keras 2, built anew as models of Keras 3.

Keras 3 opens some of them by itself and stumbles over others. So what a file says is put into the plain form of
`plain`, checked, built layer by layer (`build`), and given its weights from the HDF5 groups (`weights`).
"""
