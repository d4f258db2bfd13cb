"""An auditor's way from exported files to the sheet, without the ledger's tables. Pure: no files, no clock."""
