from drivers.network.recent_keys import RecentKeys


def test_a_key_is_new_once_and_again_when_it_was_not_confirmed() -> None:
    keys = RecentKeys()
    assert keys.is_new("a")
    assert not keys.is_new("a")
    keys.confirm()
    assert keys.is_new("b")
    keys.forget_given()
    assert "a" in keys
    assert keys.is_new("b")


def test_the_oldest_is_forgotten_first_and_forgetting_it_twice_is_no_fault() -> None:
    keys = RecentKeys(keys_max=2)
    for key in "abc":
        assert keys.is_new(key)
    assert "a" not in keys
    keys.forget_given()
    assert [key for key in "abc" if key in keys] == []
