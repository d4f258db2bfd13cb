from tests.benchmarks.parts import Part, part_of


def test_both_hands_of_a_person_and_all_lights_of_a_set_lie_in_one_part() -> None:
    assert part_of("iitd/036_L") is part_of("iitd/036_R")
    assert len({part_of(f"casia_{light}/017_{hand}") for light in ("WHT", "850", "940") for hand in "lr"}) == 1


def test_the_parts_are_about_halves_and_stay_as_they_are() -> None:
    parts = [part_of(f"tongji/{number:03d}") for number in range(1, 161)]
    assert 60 < parts.count(Part.TUNED) < 100
    assert "".join(part[0] for part in parts[:8]) == "ttstssss"
