"""Which version of an object counts, whatever order they arrive in."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from webhook.kube.informer.store import Listed, Meta, Store, newer

KEY = ("a", "x")


def meta(version: int | str, uid: str = "u1") -> Meta:
    return Meta(*KEY, uid, str(version))


def stored(*versions: int) -> Store[str]:
    store: Store[str] = Store()
    store.begin()
    store.replace([Listed(meta(version), f"v{version}") for version in versions], "10")
    return store


def value(store: Store[str]) -> str | None:
    entry = store.entries.get(KEY)
    return entry.value if entry else None


def test_stale_events_change_nothing() -> None:
    store = stored(5)
    assert store.learn(meta(20), "v20") == [KEY]
    assert store.upsert(meta(15), "v15") == []
    assert store.delete(meta(16, "u0")) == []
    assert store.upsert(meta(20), "v20") == []
    assert store.learn(meta(19), "v19") == []
    assert value(store) == "v20"
    assert store.upsert(meta(21), None) == [KEY]
    assert value(store) is None


def test_an_answer_that_comes_late_does_not_revive() -> None:
    store = stored(5)
    assert store.delete(meta(12)) == [KEY]
    assert store.learn(meta(11), "v11") == []
    assert store.learn(meta(13, "u2"), "v13") == [KEY]
    store = stored()
    store.advance("30")
    assert store.learn(meta(25), "v25") == []


def test_what_is_gone_stays_gone_until_the_watch_says_so() -> None:
    store = stored(5)
    assert store.forget("a", "x", "other") == []
    assert store.forget("a", "x", "u1") == [KEY]
    assert store.upsert(meta(11), "v11") == []
    assert store.learn(meta(12), "v12") == []
    assert store.upsert(meta(14, "u2"), "new") == [KEY]
    assert store.delete(meta(13)) == []
    assert value(store) == "new"


def test_a_list_counts_unless_something_was_learned_since() -> None:
    store = stored(5)
    store.learn(meta(40), "v40")
    store.begin()
    assert store.replace([Listed(meta(3), "v3")], "4") == [KEY]  # etcd from a backup
    store.begin()
    store.learn(meta(8), "v8")
    assert store.replace([Listed(meta(3), "v3")], "7") == []
    assert value(store) == "v8"
    store.begin()
    store.learn(Meta("a", "y", "u2", "12"), "y12")
    assert store.replace([], "11") == [KEY]
    assert store.entries[("a", "y")].value == "y12"
    store.begin()
    assert store.forget("a", "y", "u2") == [("a", "y")]
    assert store.replace([Listed(Meta("a", "y", "u2", "12"), "y12")], "12") == []


def test_unchanged_objects_of_a_list_are_not_told() -> None:
    store = stored(5)
    store.begin()
    assert store.knows(meta(5))
    assert store.replace([Listed(meta(5), kept=True)], "11") == []
    assert value(store) == "v5"


def test_an_object_that_cannot_be_read_keeps_what_is_known_of_it() -> None:
    store = stored(5)
    assert store.spoil(meta(11)) == []
    assert value(store) == "v5"
    store.begin()
    assert store.replace([Listed(meta(11), kept=True)], "12") == []
    assert store.spoil(meta(13, "u2")) == [KEY]
    assert store.replace([Listed(meta(13, "u2"), kept=True)], "14") == []


def test_versions_that_are_no_numbers_only_differ() -> None:
    assert newer("b", "a")
    assert newer("a", "b")
    assert not newer("a", "a")
    store: Store[str] = Store()
    store.begin()
    store.replace([Listed(meta("q"), "q")], "r")
    assert store.learn(meta("c"), "c") == [KEY]
    assert store.delete(meta("z", "u0")) == []
    assert store.delete(meta("z")) == [KEY]


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_numbers_compare_as_numbers(one: int, other: int) -> None:
    assert newer(str(one), str(other)) is (one > other)


class Cluster(RuleBasedStateMachine):
    """One name in a cluster: writes, our answers to them, a watch that lags, lists in between."""

    def __init__(self) -> None:
        super().__init__()
        self.store: Store[int] = Store()
        self.version = 1
        self.truth: tuple[str, int] | None = None
        self.births = 0
        self.events: list[tuple[str, Meta]] = []
        self.answers: list[Meta] = []
        self.deletions: list[str] = []
        self.snapshot: tuple[int, tuple[str, int] | None] | None = None
        self.store.begin()
        self.store.replace([], "1")

    @rule(ours=st.booleans())
    def write(self, ours: bool) -> None:
        self.version += 1
        if self.truth is None:
            self.births += 1
        uid = self.truth[0] if self.truth else f"u{self.births}"
        self.truth = (uid, self.version)
        self.events.append(("MODIFIED", meta(self.version, uid)))
        if ours:
            self.answers.append(meta(self.version, uid))

    @precondition(lambda self: self.truth is not None)
    @rule(ours=st.booleans())
    def remove(self, ours: bool) -> None:
        assert self.truth is not None
        self.version += 1
        uid, self.truth = self.truth[0], None
        self.events.append(("DELETED", meta(self.version, uid)))
        if ours:
            self.deletions.append(uid)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def answered(self, data: st.DataObject) -> None:
        got = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        self.store.learn(got, int(got.version))

    @precondition(lambda self: self.deletions)
    @rule()
    def deletion_answered(self) -> None:
        self.store.forget(*KEY, self.deletions.pop(0))

    @precondition(lambda self: self.events and self.snapshot is None)
    @rule()
    def event(self) -> None:
        kind, got = self.events.pop(0)
        if kind == "DELETED":
            self.store.delete(got)
        else:
            self.store.upsert(got, int(got.version))

    @precondition(lambda self: self.snapshot is None)
    @rule()
    def list_begins(self) -> None:
        self.store.begin()
        self.snapshot = (self.version, self.truth)

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def list_ends(self) -> None:
        assert self.snapshot is not None
        (at, seen), self.snapshot = self.snapshot, None
        self.store.replace([Listed(meta(seen[1], seen[0]), seen[1])] if seen else [], str(at))
        # A watch that starts at the list tells what came after it.
        self.events = [one for one in self.events if int(one[1].version) > at]

    @invariant()
    def never_ahead(self) -> None:
        entry = self.store.entries.get(KEY)
        assert entry is None or int(entry.version) <= self.version

    def teardown(self) -> None:
        while self.answers:
            got = self.answers.pop()
            self.store.learn(got, int(got.version))
        if self.snapshot is not None:
            self.list_ends()
        while self.events:
            self.event()
        while self.deletions:
            self.deletion_answered()
        entry = self.store.entries.get(KEY)
        assert (entry and (entry.uid, entry.value)) == self.truth


TestCluster = Cluster.TestCase
TestCluster.settings = settings(max_examples=100, stateful_step_count=20)
