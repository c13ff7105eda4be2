"""`python -m crm_analysis` is `crm-analysis`."""

import sys

from crm_analysis.cli import main

sys.exit(main())
