"""The ledger's own judgement: days that are due, their visits, who decided otherwise, and the report."""
