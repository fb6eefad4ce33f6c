from dataclasses import fields, replace

import pytest

from charrnn.config import TrainConfig
from charrnn.costs import PRODUCTS_PER_SECOND, Facts, expected_passes, seconds_of_step
from charrnn.plan import make_plan

SHAKESPEARE = Facts(1_003_854, 65, "cpu")


def test_a_plan_has_no_gaps_but_budget_patience_and_what_the_clock_decides():
    config = make_plan(TrainConfig(), SHAKESPEARE).config
    open_fields = {f.name for f in fields(config) if getattr(config, f.name) is None}
    assert open_fields == {
        *("epochs", "max_steps", "patience", "threads"),
        *("eval_every", "save_every", "sample_every", "log_every"),
    }
    assert config.max_time == 300


def test_what_the_user_set_stays():
    given = {
        "hidden_size": 40,
        "num_layers": 3,
        "embedding_size": 0,
        "dropout": 0.25,
        "seq_length": 17,
        "batch_size": 5,
        "learning_rate": 0.125,
        "weight_decay": 0.5,
        "eval_every": 7,
        "max_steps": 90,
    }
    config = make_plan(TrainConfig(**given), SHAKESPEARE).config
    assert {name: getattr(config, name) for name in given} == given


def test_more_time_gives_a_larger_network():
    sizes = [
        make_plan(TrainConfig(max_time=seconds), SHAKESPEARE).config.hidden_size
        for seconds in (20, 60, 180, 3600)
    ]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("num_tokens", [2, 3, 5, 100, 2000])
def test_a_text_of_two_tokens_or_more_has_a_batch_and_a_window(num_tokens):
    for given in ({}, {"batch_size": 64, "seq_length": 300}):
        plan = make_plan(TrainConfig(**given), Facts(num_tokens, 9, "cpu"))
        assert plan.config.batch_size * plan.config.seq_length <= max(1, num_tokens - 1)
        assert plan.notes


def test_runs_counted_in_steps_have_intervals_counted_in_steps():
    config = make_plan(TrainConfig(max_steps=2000), SHAKESPEARE).config
    assert (config.eval_every, config.log_every, config.sample_every) == (100, 20, 250)
    assert config.save_every is None


def test_the_reason_names_what_is_dropped():
    small = Facts(90_000, 65, "cpu")
    assert "dropout 0.5, weight drop 0.3:" in make_plan(TrainConfig(epochs=60), small).reason
    assert "weight drop" not in make_plan(TrainConfig(epochs=5), small).reason


def test_the_reason_names_how_symbols_are_read_and_sampled():
    def reason(vocab_size=65, **options):
        config = TrainConfig(max_time=180.0, **options)
        return make_plan(config, Facts(1_000_000, vocab_size, "cpu")).reason

    assert "512 lstm, embedding 128, batch" in reason()
    assert "512 lstm, one-hot input, batch" in reason(embedding_size=0)
    assert "512 lstm, embedding 512 (tied), batch" in reason(9000)
    assert ", 1024 softmax samples: for" in reason(9000)


def test_few_documents_of_any_length_are_said_to_be_few():
    (note,) = make_plan(TrainConfig(document="file"), Facts(5_000_000, 65, "cpu", 3)).notes
    assert note == "3 documents are few: batch 3 and window 64 instead of 32 and 64"


def test_short_documents_make_a_wide_batch():
    facts = Facts(256_000, 30, "cpu", num_documents=32_000)
    assert make_plan(TrainConfig(document="line"), facts).config.batch_size == 256


def test_the_reason_names_the_sizes_the_text_and_the_budget():
    reason = make_plan(TrainConfig(max_steps=90), SHAKESPEARE).reason
    for part in ("lstm", "1,003,854 tokens", "90 steps", "cpu"):
        assert part in reason


def test_a_large_vocabulary_is_sampled_on_a_processor_only():
    def samples(vocab_size, device="cpu", **options):
        facts = Facts(1_000_000, vocab_size, device)
        return make_plan(TrainConfig(max_steps=9, **options), facts).config.softmax_samples

    assert samples(8003) == 1024
    assert samples(300) == samples(33_278, "cuda") == 0
    assert samples(8003, softmax_samples=0) == 0
    assert samples(65, softmax_samples=20) == 20


def test_the_expected_passes_follow_the_time_and_what_a_token_costs():
    def passes(vocab_size=65, seconds=60.0, **options):
        config = TrainConfig(max_time=seconds, hidden_size=512, **options)
        facts = Facts(1_000_000, vocab_size, "cpu")
        return expected_passes(make_plan(config, facts).config, facts)

    assert passes(seconds=120) == pytest.approx(2 * passes())
    assert passes(num_layers=2) < 0.5 * passes()  # the first layer's inputs are narrower
    assert passes(cell="rnn") == pytest.approx(4 * passes(), rel=0.1)
    assert passes(33_278, softmax_samples=0) < 0.2 * passes(33_278) < 0.15 * passes()
    assert passes(100_000) == passes(33_278)  # only the rows that a window has cost anything


def test_few_passes_need_no_dropout():
    def dropout(num_tokens, **options):
        config = TrainConfig(max_time=60.0, hidden_size=512, **options)
        return make_plan(config, Facts(num_tokens, 65, "cpu")).config.dropout

    assert dropout(1_000_000) == 0.3
    assert dropout(100_000_000) == 0
    assert dropout(1_000_000, num_layers=8) == 0


def test_a_short_run_is_evaluated_and_sampled_only_now_and_then():
    def intervals(steps):
        config = make_plan(TrainConfig(max_steps=steps), SHAKESPEARE).config
        return config.eval_every, config.log_every, config.sample_every

    assert intervals(20) == (10, 1, 10)
    assert intervals(4) == (4, 1, 4)
    assert intervals(150) == (10, 2, 19)


@pytest.mark.parametrize(("kind", "seconds"), [("log", 10), ("eval", 600), ("sample", 600)])
def test_a_long_run_lets_nobody_wait_for_a_share_of_it(kind, seconds):
    config = make_plan(TrainConfig(max_steps=10**6), SHAKESPEARE).config
    every = getattr(config, f"{kind}_every")
    assert every * seconds_of_step(config, SHAKESPEARE) == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize(("budget", "steps"), [({"max_steps": 9000}, 50), ({"max_steps": 90}, 9)])
def test_the_warm_up_is_a_tenth_of_a_short_run(budget, steps):
    assert make_plan(TrainConfig(**budget), SHAKESPEARE).config.warmup_steps == steps
    assert make_plan(TrainConfig(warmup_steps=77, **budget), SHAKESPEARE).config.warmup_steps == 77


def test_a_network_that_could_learn_its_text_by_heart_is_regularised_by_the_passes():
    def drops(num_tokens, epochs, hidden_size=256, **facts):
        config = TrainConfig(epochs=epochs, hidden_size=hidden_size)
        config = make_plan(config, Facts(num_tokens, 65, "cpu", **facts)).config
        return config.dropout, config.weight_drop

    assert [drops(90_000, epochs) for epochs in (1, 5, 12, 20, 60)] == [
        (0.0, 0.0),
        (0.1, 0.0),
        (0.2, 0.1),
        (0.2, 0.2),
        (0.5, 0.3),
    ]
    assert drops(1_000_000, 20, hidden_size=512) == (0.3, 0.2)
    assert drops(1_000_000, 60) == (0.1, 0.0)  # fewer weights than tokens
    assert drops(90_000, 60, held_out=False) == (0.1, 0.0)


@pytest.mark.parametrize(
    ("hidden_size", "passes", "shares"),
    [
        (256, 30, (0.2, 0.2, 0.0)),
        (256, 60, (0.5, 0.3, 0.0)),
        (256, 200, (0.5, 0.5, 0.0)),
        (384, 30, (0.3, 0.2, 0.0)),
        (384, 60, (0.5, 0.5, 0.1)),
        (384, 150, (0.5, 0.5, 0.1)),
        (512, 250, (0.6, 0.5, 0.2)),
        (512, 450, (0.65, 0.6, 0.25)),
    ],
)
def test_the_longer_a_small_text_is_read_the_more_is_dropped(hidden_size, passes, shares):
    asked = TrainConfig(hidden_size=hidden_size, epochs=passes)
    plan = make_plan(asked, Facts(90_000, 65, "cpu"))
    config = plan.config
    assert (config.dropout, config.weight_drop, config.input_dropout) == shares
    assert (f"input dropout {shares[2]}" in plan.reason) == (shares[2] > 0)
    chosen = make_plan(TrainConfig(input_dropout=0.7, epochs=passes), Facts(90_000, 65, "cpu"))
    assert chosen.config.input_dropout == 0.7


def test_one_hot_inputs_are_not_dropped():
    asked = TrainConfig(hidden_size=512, embedding_size=0, epochs=60)
    config = make_plan(asked, Facts(90_000, 65, "cpu")).config
    assert (config.dropout, config.weight_drop, config.input_dropout) == (0.5, 0.5, 0.0)


def test_soap_is_chosen_where_it_was_measured_and_counted():
    assert make_plan(TrainConfig(), SHAKESPEARE).config.optimizer == "soap"
    assert make_plan(TrainConfig(), Facts(10**6, 65, "cuda")).config.optimizer == "adamw"
    asked = TrainConfig(optimizer="adamw", max_steps=90, hidden_size=512)
    plain = make_plan(asked, SHAKESPEARE).config
    assert plain.optimizer == "adamw"
    extra = 4 * 512 * (128**2 + 512**2) / PRODUCTS_PER_SECOND["cpu"]
    seconds = seconds_of_step(plain, SHAKESPEARE)
    turned = replace(plain, optimizer="soap")
    assert seconds_of_step(turned, SHAKESPEARE) == pytest.approx(seconds + extra)
