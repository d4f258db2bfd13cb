"""The ledger's door: who may come in, how long a request may take, and the word that an answer is the ledger's own."""
