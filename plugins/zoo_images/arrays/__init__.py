"""Datasets of arrays: NumPy, IDX, CIFAR, SVHN and the digits of scikit-learn."""
