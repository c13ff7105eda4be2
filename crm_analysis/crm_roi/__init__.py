"""What CRM programmes earned: campaign evaluation by randomised control, cost ledger, ROI with interval."""
