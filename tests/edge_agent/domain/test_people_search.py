"""The search for people: Kazakh, Russian and Latin spellings, wrong layouts, parts of names, the order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.domain.name_order import KAZAKH_LETTERS, order_key
from edge_agent.domain.people_search import SPELLINGS_MAX, find_people, read_text
from sync.contract.roster import Person

PEOPLE = [
    Person(id=f"u{number}", given_name=given_name, family_name=family_name, group=group)
    for number, (given_name, family_name, group) in enumerate(
        [
            ("Айгерім", "Сәрсенбаева", "3 «Б»"),
            ("Әлия", "Құлахметова", "3 «А»"),
            ("Шыңғыс", "Жұмағұлов", "11 «Ә»"),
            ("Өмір", "Үсенов", "1 «Ғ»"),
            ("Ғалым", "Һакімов", "10 «А»"),
            ("Артём", "Королёв", "1 «А»"),
            ("Асхат", "Сейтқали", "7 «В»"),
            ("Мария-Луиза", "Щербакова", "2 «Г»"),
            ("Анна", "Ли", "3 «Б»"),
            ("Аружан", "Мұхаммедәлі-Нұрсұлтанова", "9 «Д»"),
            ("Shyngys", "Zhumabek", "5 «A»"),
            ("Юлия", "Цой", "4 «В»"),
        ]
    )
]

# What is typed, and somebody whom it must find.
TYPED = [
    ("Сарсенбаева", "Айгерім"), ("Айгерим", "Айгерім"), ("кулахметова", "Әлия"), ("алия", "Әлия"),
    ("шынгыс", "Шыңғыс"), ("жумагулов", "Шыңғыс"), ("омир", "Өмір"), ("усенов", "Өмір"),
    ("галым", "Ғалым"), ("хакимов", "Ғалым"), ("артем", "Артём"), ("королев", "Артём"),
    ("Артём", "Артём"), ("щерб", "Мария-Луиза"),
    # in Latin letters
    ("shyngys", "Шыңғыс"), ("Şyñğys", "Шыңғыс"), ("petrov", None), ("zhumagulov", "Шыңғыс"),
    ("jumagulov", "Шыңғыс"), ("qulahmetova", "Әлия"), ("kulakhmetova", "Әлия"), ("askhat", "Асхат"),
    ("asqat", None), ("ashat", "Асхат"), ("axmet", "Әлия"), ("seitkali", "Асхат"), ("seytqali", "Асхат"),
    ("shcherbakova", "Мария-Луиза"), ("scherb", "Мария-Луиза"), ("mariya", "Мария-Луиза"), ("maria", "Мария-Луиза"),
    ("artyom", "Артём"), ("korolev", "Артём"), ("yulia", "Юлия"), ("julija", "Юлия"), ("tsoi", "Юлия"),
    ("coy", "Юлия"), ("ghalym", "Ғалым"), ("galim", "Ғалым"), ("ana", "Анна"),
    # in Cyrillic letters, of a name that is written in Latin ones
    ("шынгыс", "Shyngys"), ("жумабек", "Shyngys"), ("шыңғыс", "Shyngys"),
    # the keyboard left in the wrong layout: Russian, Kazakh (digits are letters), and the reverse
    ("fquth", "Айгерім"), ("cfhcty", "Айгерім"), ("cgfvznm", None), (";evf", "Шыңғыс"), ("2kbz", "Әлия"),
    ("09kf", "Әлия"), ("09kf[", "Әлия"), ("-v3h", "Өмір"), ("8ctyjd", "Өмір"), ("5fksv", "Ғалым"), ("=frsv", "Ғалым"),
    ("=fr3v", "Ғалым"), ("rjhjk`d", "Артём"), ("ырнтпны", "Shyngys"), ("Яргьфиул", "Shyngys"),
    # a part, any order, a class
    ("сәр айг", "Айгерім"), ("айг сәр", "Айгерім"), ("айг 3б", "Айгерім"), ("3 «б» сар", "Айгерім"), ("3б", "Анна"),
    ("3b", "Анна"), ("3,", "Анна"), ("луиза", "Мария-Луиза"), ("нурсултан", "Аружан"), ("султан", "Аружан"),
    ("гери", "Айгерім"), ("11", "Шыңғыс"), ("11 а", "Шыңғыс"), ("  АЙГЕРІМ!  ", "Айгерім"),
]  # fmt: skip


def names(text: str) -> list[str]:
    return [person.given_name for person in find_people(text, PEOPLE)]


@pytest.mark.parametrize(("text", "wanted"), TYPED)
def test_what_is_typed_finds_whom_it_means(text: str, wanted: str | None) -> None:
    assert wanted in names(text) if wanted else names(text) == []


@pytest.mark.parametrize("text", ["", "   ", "«»", "!?…"])
def test_a_text_that_says_nothing_finds_nobody(text: str) -> None:
    assert names(text) == []


def test_a_class_finds_that_class_alone() -> None:
    assert names("3б") == ["Анна", "Айгерім"]
    assert names("1") == ["Артём", "Өмір"]
    assert names("3а") == ["Әлия"]


def test_a_name_as_it_was_typed_comes_before_other_readings_and_parts_inside() -> None:
    people = [
        Person(id=str(number), given_name=name, family_name="")
        for number, name in enumerate(["Карима", "Рима", "Акрим", "Кшьф"])
    ]
    assert [person.given_name for person in find_people("рим", people)] == ["Рима", "Акрим", "Карима"]
    assert [person.given_name for person in find_people("rima", people)] == ["Рима", "Карима", "Кшьф"]


def test_twenty_seven_of_a_class_are_all_found() -> None:
    people = [Person(id=f"{number:02}", given_name="Ұлан", family_name=f"Ә{number}", group="3") for number in range(27)]
    assert [person.family_name for person in find_people("улан", people)] == [f"Ә{number}" for number in range(27)]


def test_classes_stand_in_the_order_of_numbers_and_of_the_kazakh_alphabet() -> None:
    classes = [
        "1 «А»",
        "1 «Ә»",
        "1 «Б»",
        "1 «В»",
        "1 «Г»",
        "1 «Ғ»",
        "1 «Д»",
        "2 «А»",
        "9 «Қ»",
        "10 «А»",
        "11 «Ә»",
        "Хор",
    ]
    assert sorted(set(classes), key=order_key) == classes


letters = st.text(KAZAKH_LETTERS, min_size=1, max_size=12).filter(lambda word: word.strip("ьъ"))
FOLDED = str.maketrans("әғқңөұүһіё", "агкноуухие")
RUSSIAN, KEYS = "йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`"


def is_found(text: str, name: str) -> bool:
    return bool(find_people(text, [Person(id="u", given_name=name, family_name="Ли", group="3 «Б»")]))


@given(letters, st.data())
def test_each_beginning_finds_its_name_in_kazakh_in_russian_and_in_the_wrong_layout(
    name: str, data: st.DataObject
) -> None:
    text = name[: data.draw(st.integers(1, len(name)))]
    if not text.strip("ьъ"):
        return
    assert is_found(text, name.title())
    assert is_found(text.upper(), name)
    assert is_found(text.translate(FOLDED), name)
    assert is_found(text.translate(FOLDED).translate(str.maketrans(RUSSIAN, KEYS)), name)


CYRILLIC = "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщыіэюя"
LATIN = "a a b v g gh d e yo zh z i y k q l m n ng o o p r s t u u u f kh h ts ch sh shch y i e yu ya"
USUAL = dict(zip(CYRILLIC, LATIN.split(), strict=True))


@given(st.text("".join(USUAL), min_size=1, max_size=5))
def test_usual_latin_spellings_find_cyrillic_names_and_the_reverse(name: str) -> None:
    latin = "".join(USUAL[letter] for letter in name)
    assert is_found(latin, name)
    assert is_found(name, latin)


@given(st.text(max_size=200), st.text(max_size=60))
def test_no_text_and_no_name_breaks_the_search(text: str, name: str) -> None:
    is_found(text, name)
    assert all(len(word) <= SPELLINGS_MAX for reading in read_text(text) for word in reading)
