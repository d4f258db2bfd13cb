"""The command that mends a missing extra names this Python, the installer and the requirement."""

import sys

from drivers.installation import build_install_command, find_installer, list_requirements


def test_only_the_requirements_of_the_extra_are_named() -> None:
    requires = ["serial>=3", "pyscard>=2.2; extra == 'pcsc'", 'gpiod<3,>=2.2; extra == "gpio"', "x; extra == 'pcsc2'"]
    assert list_requirements(requires, "pcsc") == ["pyscard>=2.2"]
    assert list_requirements(requires, "gpio") == ["gpiod<3,>=2.2"]


def test_the_installer_is_the_one_that_installed_us() -> None:
    assert find_installer("pip\n", "/opt/e", "/opt/e/bin/python") == "/opt/e/bin/python -m pip install"
    assert find_installer("uv", "/opt/e", "/opt/e/bin/python") == "uv pip install --python /opt/e/bin/python"
    assert find_installer("pip", "/root/pipx/venvs/canteen-edge-agent", "/x") == "pipx inject canteen-edge-agent"


def test_the_command_of_this_machine_is_whole() -> None:
    command = build_install_command("pcsc")
    assert command.startswith("apt install pcscd swig libpcsclite-dev")
    assert sys.executable in command
    assert "pyscard" in command
