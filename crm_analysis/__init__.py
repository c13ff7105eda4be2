"""CRM analysis: from an organisation's customer records to a report book that leadership can act on."""

__version__ = "0.1.0"
