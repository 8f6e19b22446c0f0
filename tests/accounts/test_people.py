"""People: what one sees of oneself and of others, what may be changed, and who may change whom."""

from typing import Any

import pytest

from chat_server.shapes import Role
from tests.accounts.asking import fields_of, problem
from tests.house import House, Person

PUBLIC = {"id", "username", "display_name", "kind", "role", "created_at", "disabled"}


def test_one_sees_ones_own_email_and_nobody_elses(house: House, ann: Person, bob: Person) -> None:
    changed = ann.patch("/api/v1/users/me", {"email": "ann@example.org"})

    assert changed["email"] == "ann@example.org"
    assert ann.get("/api/v1/users/me")["email"] == "ann@example.org"
    assert ann.get(f"/api/v1/users/{ann.id}") == ann.get("/api/v1/users/me")
    assert set(bob.get(f"/api/v1/users/{ann.id}")) == PUBLIC
    listed = bob.get("/api/v1/users", params={"query": ann.username})["items"]
    assert [set(user) for user in listed] == [PUBLIC]


def test_even_an_owner_sees_no_foreign_email(owner: Person, ann: Person) -> None:
    ann.patch("/api/v1/users/me", {"email": "ann@example.org"})

    assert set(owner.get(f"/api/v1/users/{ann.id}")) == PUBLIC
    assert set(owner.patch(f"/api/v1/users/{ann.id}", {"display_name": "Ann"})) == PUBLIC


def test_what_is_not_sent_stays(ann: Person) -> None:
    ann.patch("/api/v1/users/me", {"email": "ann@example.org"})

    changed = ann.patch("/api/v1/users/me", {"display_name": "Ann A."})

    assert (changed["display_name"], changed["email"]) == ("Ann A.", "ann@example.org")
    assert ann.patch("/api/v1/users/me", {}) == changed


def test_an_email_can_be_taken_away(ann: Person) -> None:
    ann.patch("/api/v1/users/me", {"email": "ann@example.org"})

    changed = ann.patch("/api/v1/users/me", {"email": None})

    assert changed["email"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("display_name", None),
        ("display_name", ""),
        ("display_name", "  "),
        ("display_name", "x" * 65),
        ("display_name", "two\nlines"),
        ("email", "nobody"),
        ("email", "@example.org"),
        ("email", "a b@example.org"),
        ("email", "a@" + "x" * 253),
        ("email", 7),
        ("role", "owner"),
        ("id", "mine"),
        ("username", "olga"),
        ("disabled", False),
    ],
)
def test_of_oneself_one_does_not_change(ann: Person, field: str, value: Any) -> None:
    before = ann.get("/api/v1/users/me")

    answer = ann.http.patch("/api/v1/users/me", json={field: value})

    assert fields_of(problem(answer, 422, "invalid")) == {field}
    assert ann.get("/api/v1/users/me") == before


def test_who_is_not_there_is_404(owner: Person) -> None:
    problem(owner.http.get("/api/v1/users/nobody"), 404, "user_not_found")
    problem(owner.http.patch("/api/v1/users/nobody", json={"disabled": True}), 404, "user_not_found")


@pytest.mark.parametrize("query", ["NEEDLE", "eedl", "hay STACK"])
def test_people_are_found_by_either_name(house: House, ann: Person, query: str) -> None:
    needle = house.person("needle")
    needle.patch("/api/v1/users/me", {"display_name": "Hay Stack"})

    found = ann.get("/api/v1/users", params={"query": query})["items"]

    assert needle.id in {user["id"] for user in found}
    assert ann.id not in {user["id"] for user in found}


@pytest.mark.parametrize("query", ["%", "\\", "50%", "a%b", "' OR ''='", "*"])
def test_a_search_takes_signs_as_they_are(ann: Person, query: str) -> None:
    assert ann.get("/api/v1/users", params={"query": query})["items"] == []


def test_an_underscore_finds_an_underscore(house: House, ann: Person) -> None:
    one = house.person("under_score")

    found = ann.get("/api/v1/users", params={"query": "r_s"})["items"]

    assert [user["id"] for user in found] == [one.id]


def test_people_are_listed_by_username_page_by_page(house: House, ann: Person) -> None:
    made = sorted(house.person(f"paged{number}").username for number in range(5))

    pages, after = [], None
    while True:
        params = {"query": "paged", "limit": 2, **({"after": after} if after else {})}
        answer = ann.http.get("/api/v1/users", params=params)
        page = answer.json()
        pages.append([user["username"] for user in page["items"]])
        assert ('rel="next"' in answer.headers.get("link", "")) is (page["next"] is not None)
        if page["next"] is None:
            break
        after = page["next"]

    assert [name for names in pages for name in names] == made
    assert [len(names) for names in pages] == [2, 2, 1]


def test_the_links_of_a_list_lead_to_its_neighbours(house: House, ann: Person) -> None:
    for number in range(3):
        house.person(f"linked{number}")
    first = ann.http.get("/api/v1/users", params={"query": "linked", "limit": 1})

    second = ann.http.get(first.links["next"]["url"])
    back = ann.http.get(second.links["prev"]["url"])

    assert back.json()["items"] == first.json()["items"] != second.json()["items"]
    assert "query=linked" in first.links["next"]["url"]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"page": 1}, {"query": "x" * 65}])
def test_a_list_that_cannot_be_asked_for_is_422(ann: Person, params: dict[str, Any]) -> None:
    assert fields_of(problem(ann.http.get("/api/v1/users", params=params), 422, "invalid")) == set(params)


# Who may make whom what: the actor's role, the other's role, the change, and whether it is allowed.
CHANGES = [
    (Role.OWNER, Role.MEMBER, {"role": "owner"}, True),
    (Role.OWNER, Role.OWNER, {"role": "member"}, True),
    (Role.OWNER, Role.OWNER, {"disabled": True}, True),
    (Role.OWNER, Role.ADMIN, {"role": "guest"}, True),
    (Role.ADMIN, Role.MEMBER, {"role": "guest"}, True),
    (Role.ADMIN, Role.GUEST, {"role": "member"}, True),
    (Role.ADMIN, Role.MEMBER, {"disabled": True}, True),
    (Role.ADMIN, Role.ADMIN, {"disabled": True}, True),
    (Role.ADMIN, Role.MEMBER, {"display_name": "Renamed"}, True),
    (Role.ADMIN, Role.MEMBER, {"role": "owner"}, False),
    (Role.ADMIN, Role.OWNER, {"role": "member"}, False),
    (Role.ADMIN, Role.OWNER, {"disabled": True}, False),
    (Role.ADMIN, Role.OWNER, {"display_name": "Renamed"}, False),
]


@pytest.mark.parametrize(("actor", "other", "change", "is_allowed"), CHANGES)
def test_only_an_owner_touches_owners(
    house: House, owner: Person, actor: Role, other: Role, change: dict[str, Any], is_allowed: bool
) -> None:
    ann, bob = house.person("ann", actor), house.person("bob", other)
    before = owner.get(f"/api/v1/users/{bob.id}")

    answer = ann.http.patch(f"/api/v1/users/{bob.id}", json=change)

    if is_allowed:
        assert (answer.status_code, answer.json()) == (200, before | change)
        return
    problem(answer, 403, "role_too_low")
    assert owner.get(f"/api/v1/users/{bob.id}") == before


def test_an_admin_does_not_become_owner_alone(admin: Person) -> None:
    problem(admin.http.patch(f"/api/v1/users/{admin.id}", json={"role": "owner"}), 403, "role_too_low")


@pytest.mark.parametrize("change", [{"role": "admin"}, {"disabled": True}])
def test_the_last_owner_stays(new_house: Any, change: dict[str, Any]) -> None:
    owner = new_house().person("olga", Role.OWNER)

    problem(owner.http.patch(f"/api/v1/users/{owner.id}", json=change), 409, "last_owner")
    assert owner.get("/api/v1/users/me")["role"] == "owner"
    assert owner.patch(f"/api/v1/users/{owner.id}", {"display_name": "Olga"})["display_name"] == "Olga"


def test_a_disabled_owner_does_not_count_as_another(new_house: Any) -> None:
    house = new_house()
    ann, bob = house.person("ann", Role.OWNER), house.person("bob", Role.OWNER)
    ann.patch(f"/api/v1/users/{bob.id}", {"disabled": True})

    problem(ann.http.patch(f"/api/v1/users/{ann.id}", json={"role": "member"}), 409, "last_owner")


def test_a_role_counts_at_once_whatever_the_token_says(house: House, owner: Person, admin: Person, bob: Person) -> None:
    owner.patch(f"/api/v1/users/{admin.id}", {"role": "member"})

    answer = admin.http.patch(f"/api/v1/users/{bob.id}", json={"disabled": True})

    problem(answer, 403, "role_too_low")


def test_a_new_admin_needs_a_new_login(house: House, owner: Person, ann: Person, bob: Person) -> None:
    owner.patch(f"/api/v1/users/{ann.id}", {"role": "admin"})
    again = house.login(ann.id, ann.username, Role.ADMIN)

    problem(ann.http.patch(f"/api/v1/users/{bob.id}", json={"disabled": True}), 403, "insufficient_scope")
    assert again.patch(f"/api/v1/users/{bob.id}", {"disabled": True})["disabled"] is True


@pytest.mark.parametrize(
    "body", [{}, {"role": None}, {"role": "king"}, {"disabled": "perhaps"}, {"email": "a@b.c"}, {"username": "x"}]
)
def test_an_admins_change_of_the_wrong_shape_is_422(owner: Person, ann: Person, body: dict[str, Any]) -> None:
    problem(owner.http.patch(f"/api/v1/users/{ann.id}", json=body), 422, "invalid")


def test_me_stands_for_oneself(owner: Person, ann: Person) -> None:
    assert ann.get("/api/v1/users/me")["id"] == ann.id
    assert owner.get("/api/v1/users/me")["id"] == owner.id
