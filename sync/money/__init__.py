"""From visits to money: calendars, tariffs, the sheet, its protocol, and the difference from another count. Pure."""
