"""USB devices that schools have, that we know, and that no driver of ours uses: what they are, and what to do instead.

The numbers are of usb.ids (2025.07.26), and where named of other public sources.
"""

from dataclasses import dataclass

from drivers.obstacle import Obstacle

_RELAYS = "take an LCUS relay board on a CH340 adapter (driver lcus) or pins of the board (gpio)"
_PALM = "run its maker's SDK in a process of its own and connect it by the driver palm-bridge"


@dataclass(frozen=True, slots=True)
class UndrivenDevice:
    """A device without a driver. `product` is a part of its own name that it must have; empty: its number says all."""

    what: str
    next_step: str
    product: str = ""

    @property
    def obstacle(self) -> Obstacle:
        """The obstacle that `devices probe` and the doctor show."""
        return Obstacle("the agent has no driver for it", self.next_step)


# All kinds of HID devices share 16c0:05df; relays call themselves USBRelay1 to USBRelay8 (darrylb123/usbrelay#49).
_HID_RELAY = UndrivenDevice("USB relay board as a HID device", _RELAYS, "relay")
_SHARED_NUMBER = UndrivenDevice("HID device under a shared number, perhaps a relay board", _RELAYS)

UNDRIVEN_DEVICES: dict[str, tuple[UndrivenDevice, ...]] = {
    "16c0:05df": (_HID_RELAY, _SHARED_NUMBER),
    "0519:2018": (UndrivenDevice("USB relay board as a HID device (HIDRelay)", _RELAYS, "relay"),),  # usbrelay#34
    "5131:2007": (  # usbrelay#103: a board marked lcus_hid; usb.ids: a reader of magnetic cards
        UndrivenDevice("LCUS relay board as a HID device, or a magnetic card reader MSR-101U", _RELAYS),
    ),
    "0403:1235": (
        UndrivenDevice(
            "Iron Logic Z-397 converter to RS-485, for Iron Logic's own controllers",
            "read cards by a Z-2 USB or Matrix-III (driver ironlogic); for OSDP readers take a plain RS-485 adapter",
        ),
    ),
    "04c5:1084": (UndrivenDevice("Fujitsu PalmSecure palm vein sensor V2", _PALM),),
    "04c5:125a": (UndrivenDevice("Fujitsu PalmSecure palm vein sensor MP", _PALM),),
    "04c5:1526": (UndrivenDevice("Fujitsu PalmSecure-F Pro palm vein sensor", _PALM),),
    "04c5:1527": (UndrivenDevice("Fujitsu PalmSecure palm vein sensor", _PALM),),  # the maker's fjveincam driver V31L04
    "7985:1001": (UndrivenDevice("PVM310 palm vein module", _PALM),),  # the maker's unified SDK, a public integration
}


def find_undriven(usb_id: str, product: str) -> UndrivenDevice | None:
    """Returns what is known of a device without a driver; None for one that is not on the list."""
    named = product.casefold()
    return next((known for known in UNDRIVEN_DEVICES.get(usb_id, ()) if known.product in named), None)
