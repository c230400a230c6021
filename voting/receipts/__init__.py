"""Receipts: a voter's proof of what the server answered, checked offline with the server's public key alone.

merkle.py   PURE: RFC 6962 trees, their roots and inclusion proofs
receipt.py  PURE: what a receipt says, its text, and how it is checked
voter.py    a session whose answers to one ballot carry a receipt
issuer.py   signs the receipts that were asked for in one turn of the loop with one signature
"""
