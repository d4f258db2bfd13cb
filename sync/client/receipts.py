"""The ledger's signed word to this very kiosk, and nothing else."""

from sync.contract import receipt
from sync.contract.chain import DeviceId, Head
from sync.contract.receipt import Receipt
from sync.contract.wire import Cursor
from sync.errors import Deceived


def check_receipt(signed: Receipt, server_key: bytes, device: DeviceId, epoch: str) -> Head:
    """Returns the head that the receipt covers. Raises `Deceived` when it is not the ledger's word about this epoch."""
    try:
        head = receipt.check(signed, server_key)
    except receipt.ForgedReceipt as error:
        raise Deceived(str(error)) from error
    if (signed.device, signed.epoch) != (device, epoch):
        raise Deceived(f"a receipt for {signed.device}, epoch {signed.epoch}, is not for this kiosk; ask the operator")
    return head


def check_cursor(cursor: Cursor, server_key: bytes, device: DeviceId) -> Head | None:
    """Returns the signed head of the cursor; None for a blank ledger. Raises `Deceived`."""
    if not cursor.epoch:
        return None
    if cursor.receipt is None:
        raise Deceived("the ledger says where it stands without signing it; ask its operator")
    head = check_receipt(cursor.receipt, server_key, device, cursor.epoch)
    if (head.seq, head.hash.hex()) != (cursor.accepted_through, cursor.head):
        raise Deceived("the ledger's cursor and its receipt differ; ask its operator")
    return head
