"""Estimators that several chapters share; import the module that is meant, e.g. `estimators.means`."""
