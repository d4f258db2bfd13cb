"""From visits to money: sheets and their acts, who signs them, how they are shown, and the other count."""
