import numpy as np
import pytest

from charrnn.batches import IGNORED, DocumentBatches, StreamBatches

BOS, EOS = 0, 1


def documents(*lengths):
    """Ids of documents that hold the numbers 2, 3, 4.. running on over all of them."""
    ids, number = [], 2
    for length in lengths:
        ids += [BOS, *range(number, number + length), EOS]
        number += length
    return np.array(ids, dtype=np.uint16)


def test_windows_of_the_module_docstring():
    batches = StreamBatches(np.arange(14, dtype=np.uint8), 2, 3, seed=5)
    first, second = batches.next_window(), batches.next_window()
    assert first.inputs.T.tolist() == [[0, 1, 2], [6, 7, 8]]
    assert second.inputs.T.tolist() == [[3, 4, 5], [9, 10, 11]]
    assert second.targets.T.tolist() == [[4, 5, 6], [10, 11, 12]]


def test_the_state_is_kept_within_a_pass_and_dropped_at_its_start():
    batches = StreamBatches(np.arange(13, dtype=np.uint8), 2, 4, seed=5)
    kept = [batches.next_window().keep is None for _ in range(2)]
    assert kept == [False, True]
    assert batches.epoch == 1
    assert batches.next_window().keep.tolist() == [False, False]


def test_streams_start_anew_at_their_share_and_at_the_same_places_after_a_restore():
    def make():
        return StreamBatches(np.zeros(64_000, dtype=np.uint8), 40, 4, seed=7, reset_share=0.05)

    batches = make()
    kept = [batches.next_window().keep for _ in range(300)]
    assert np.mean(kept[1:]) == pytest.approx(0.95, abs=0.01)
    assert len({tuple(row) for row in kept}) > 100
    resumed = make()
    for _ in range(10):
        resumed.next_window()
    cursor = resumed.cursor()
    other = make()
    other.restore(cursor)
    assert [other.next_window().keep.tolist() for _ in range(5)] == [
        k.tolist() for k in kept[10:15]
    ]


@pytest.mark.parametrize(("batch_size", "seq_length"), [(1, 7), (3, 5), (4, 100)])
def test_the_first_pass_has_every_target_of_every_stream_once(batch_size, seq_length):
    batches = StreamBatches(np.arange(61, dtype=np.uint8), batch_size, seq_length, seed=0)
    targets = []
    while batches.epoch < 1:
        targets += batches.next_window().targets.flatten().tolist()
    assert sorted(targets) == list(range(1, 1 + 60 // batch_size * batch_size))


def test_later_passes_start_at_offsets_that_differ_and_come_again_for_the_same_seed():
    def offsets(seed):
        batches = StreamBatches(np.arange(200, dtype=np.uint8), 1, 50, seed)
        starts = []
        while len(starts) < 8:
            window = batches.next_window()
            if window.keep is not None:
                starts.append(int(window.inputs[0, 0]))
        return starts

    assert offsets(3)[0] == 0
    assert len(set(offsets(3)[1:])) > 3
    assert offsets(3) == offsets(3) != offsets(4)


def test_a_document_is_read_from_its_first_token_to_its_last_with_the_state_dropped_before():
    ids = documents(3, 9, 1, 5)
    batches = DocumentBatches(ids, BOS, batch_size=2, seq_length=4, seed=1)
    read, running = [], {0: [], 1: []}
    while True:
        window = batches.next_window()
        if batches.pass_index:
            break
        for row in range(2):
            if not window.keep[row]:
                running[row] = []
                read.append(running[row])
            real = window.targets[:, row] != IGNORED
            running[row] += list(window.targets[real, row])
            expected = ids[np.flatnonzero(np.isin(ids, window.targets[real, row]))]
            assert real.sum() <= 4
            assert set(expected) >= set(window.targets[real, row])
    found = sorted(tuple(int(t) for t in document) for document in read if document)
    assert found == [
        (2, 3, 4, 1),
        (5, 6, 7, 8, 9, 10, 11, 12, 13, 1),
        (14, 1),
        (15, 16, 17, 18, 19, 1),
    ]


def test_documents_come_in_another_order_each_pass():
    ids = documents(*[3] * 20)
    batches = DocumentBatches(ids, BOS, batch_size=1, seq_length=9, seed=2)
    orders = [[], []]
    while batches.pass_index < 2:
        window = batches.next_window()
        if batches.pass_index < 2:
            orders[batches.pass_index].append(int(window.inputs[1, 0]))
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]


@pytest.mark.parametrize("skip", [0, 1, 5, 11, 12, 13, 40])
@pytest.mark.parametrize("kind", ["stream", "documents"])
def test_restoring_a_cursor_goes_on_exactly_there(kind, skip):
    def make():
        if kind == "stream":
            return StreamBatches(np.arange(120, dtype=np.uint8), 3, 7, seed=9)
        return DocumentBatches(documents(3, 9, 1, 5, 2, 2, 30), BOS, 2, 4, seed=9)

    batches = make()
    for _ in range(skip):
        batches.next_window()
    resumed = make()
    resumed.restore(batches.cursor())
    assert resumed.epoch == batches.epoch
    for _ in range(30):
        one, other = batches.next_window(), resumed.next_window()
        assert one.inputs.tolist() == other.inputs.tolist()
        assert one.targets.tolist() == other.targets.tolist()
        assert (one.keep is None) == (other.keep is None)


def test_few_targets_of_short_documents_are_padding():
    rng = np.random.default_rng(0)
    batches = DocumentBatches(documents(*rng.integers(3, 12, 3000)), BOS, 64, 64, seed=0)
    places = targets = 0
    while batches.epoch < 1 and batches.pass_index == 0:
        window = batches.next_window()
        places, targets = places + window.targets.size, targets + window.num_targets
    assert targets / places > 0.85
