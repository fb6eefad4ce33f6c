"""The schema of what each view writes with --json: an envelope, and a result of its own.

Every key is required and no other is allowed, so that none is renamed or lost unnoticed.
"""

TEXT, FLAG, COUNT, NUMBER = ({"type": t} for t in ("string", "boolean", "integer", "number"))
SENTENCE = {"type": "string", "pattern": r"^.+\.$"}
SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
UNIT = {"type": "string", "pattern": r"^[chifgorzn]:\d+:\d+$"}


def maybe(schema):
    """Return the schema of something that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def each(items, **limits):
    """Return the schema of a list."""
    return {"type": "array", "items": items, **limits}


def named(values, pattern="^.+$"):
    """Return the schema of an object whose keys are names of things."""
    return {"type": "object", "patternProperties": {pattern: values}, "additionalProperties": False}


def whole(**properties):
    """Return the schema of an object with these keys, all of them and no more."""
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


INTERVAL = whole(mean=NUMBER, low=NUMBER, high=NUMBER)
ROUGH = whole(mean=maybe(NUMBER), low=maybe(NUMBER), high=maybe(NUMBER))  # of too little text
NUMBERS, TEXTS, GAPS = each(NUMBER), each(TEXT), each(maybe(NUMBER))
DATA = whole(
    path=maybe(TEXT),
    sha256=maybe(SHA256),
    part={"enum": ["text", "validation"]},
    n={"type": "integer", "minimum": 2},
    unknown={"type": "integer", "minimum": 0},
)
MODEL = whole(
    path=TEXT,
    sha256=SHA256,
    cell_type={"enum": ["lstm", "gru", "rnn", "peephole"]},
    num_layers=COUNT,
    hidden_size=COUNT,
    vocab_size=COUNT,
    level={"enum": ["char", "byte", "word"]},
)

CONTEXT = whole(position=COUNT, value=NUMBER, before=TEXT, symbol=TEXT, after=TEXT)
EFFECT = whole(symbol=TEXT, logit=NUMBER)
NEAR = each(whole(symbol=TEXT, cosine=NUMBER))
COVERED = ("20", "50", "100")
PASSAGE = whole(
    length=COUNT,
    longest=COUNT,
    start=COUNT,
    offset=COUNT,
    line=COUNT,
    match=TEXT,
    covered=whole(**dict.fromkeys(COVERED, NUMBER)),
)
PASSAGES = whole(
    longest=ROUGH, covered=whole(**dict.fromkeys(COVERED, ROUGH)), passages=each(PASSAGE)
)
CURVE = each(whole(n=COUNT, delta=INTERVAL), minItems=1)
WITHOUT = each(whole(unit=UNIT, delta=ROUGH, estimate=NUMBER), minItems=1)
EVENT = {"event": TEXT, "step": COUNT}
CAUSE = whole(
    delta=INTERVAL, on=NUMBER, off=NUMBER, random=NUMBERS, clamp=maybe(ROUGH), clamp_random=NUMBERS
)
DETAIL = whole(
    kind={"enum": ["binary", "real"]},
    sign={"enum": [1, -1]},
    score=ROUGH,
    memory_r2=ROUGH,
    r2=ROUGH,
    spearman=ROUGH,
    threshold=maybe(NUMBER),
    balanced_accuracy=maybe(ROUGH),
    p_single=NUMBER,
    control=whole(score=maybe(NUMBER), memory=maybe(NUMBER), best=maybe(NUMBER)),
    probe=ROUGH,
    cause=maybe(CAUSE),
)
FEATURE = whole(
    feature=TEXT,
    unit=maybe(UNIT),
    auc=maybe(NUMBER),
    r2=maybe(NUMBER),
    memory_r2=maybe(NUMBER),
    p=maybe(NUMBER),
    n90=maybe(COUNT),
    delta_bits=maybe(NUMBER),
    grade={"enum": ["A", "B", "C", None]},
)

RESULTS = {
    "summary": whole(
        parameters=named(COUNT, r"^(embedding|layer \d+|output)$"),
        num_parameters=COUNT,
        spectra=named(whole(norm=NUMBER, radius=NUMBER), r"^[ifgorznh]:\d+$"),
        dead_units=maybe(named(COUNT, r"^\d+$")),
        record={"type": "object"},  # train.json as it is
        train_loss=maybe(NUMBER),
        valid_loss=maybe(NUMBER),
        valid=maybe(ROUGH),
        floors=whole(
            **dict.fromkeys(("uniform", "unigram", "bigram", "ngram", "lzma"), NUMBER),
        ),
        ngram=maybe(COUNT),
        sentence=SENTENCE,
    ),
    "curve": whole(
        log=each({"type": "object", "required": [*EVENT, "loss", "grad_norm"]}, minItems=1),
        evaluations=each({"type": "object", "required": [*EVENT, "valid_loss"]}, minItems=1),
        samples=each(whole(**EVENT, text=TEXT)),
        best_loss=maybe(NUMBER),
        best_step=maybe(COUNT),
        clipped=maybe(NUMBER),
        gain=maybe(NUMBER),
        sentence=SENTENCE,
    ),
    "surprisal": whole(
        totals=whole(
            **dict.fromkeys(
                ("nats", "loss", "bits_per_char", "bits_per_byte", "perplexity"), NUMBER
            ),
            **dict.fromkeys(("num_tokens", "num_chars", "num_bytes", "num_unknown"), COUNT),
            **dict.fromkeys(("top1", "entropy", "unknown_rate"), NUMBER),
        ),
        intervals=whole(
            **dict.fromkeys(
                ("loss", "bits_per_char", "bits_per_byte", "perplexity", "top1"), ROUGH
            ),
            **dict.fromkeys(("entropy", "excess"), ROUGH),
        ),
        tokens=TEXTS,
        nats=GAPS,
        entropy=GAPS,
        excess=GAPS,
        skipped=each(whole(before=COUNT, symbol=TEXT)),
        ratio=GAPS,
        rank=each(COUNT),
        guesses=each(each(COUNT)),
        guess_probabilities=each(NUMBERS),
        adapted=maybe(
            whole(
                **dict.fromkeys(("loss", "bits_per_char", "bits_per_byte", "perplexity"), NUMBER),
                gain=NUMBER,
                sentence=SENTENCE,
            )
        ),
        sentence=SENTENCE,
    ),
    "cells": whole(
        features=each(FEATURE, minItems=24),
        details=named(DETAIL, "^[a-z_]+$"),
        excerpts=named(
            whole(start=COUNT, pieces=TEXTS, values=NUMBERS, shares=NUMBERS, feature=NUMBERS)
        ),
        num_units=COUNT,
        sentence=SENTENCE,
    ),
    "cell": whole(
        unit=UNIT,
        mean=ROUGH,
        std=ROUGH,
        histogram=each(COUNT, minItems=40, maxItems=40),
        edges=each(NUMBER, minItems=41, maxItems=41),
        autocorrelation_time=ROUGH,
        time_constant=maybe(ROUGH),
        highest=each(CONTEXT, minItems=20, maxItems=20),
        lowest=each(CONTEXT, minItems=20, maxItems=20),
        quantiles=each(whole(quantile=NUMBER, contexts=each(CONTEXT)), minItems=5, maxItems=5),
        promoted=each(EFFECT),
        suppressed=each(EFFECT),
        excerpt=whole(start=COUNT, pieces=TEXTS, values=NUMBERS),
        sentence=SENTENCE,
    ),
    "copying": whole(
        samples=PASSAGES,
        control=maybe(PASSAGES),
        excess=maybe(whole(**dict.fromkeys(COVERED, ROUGH))),
        corpus_chars=COUNT,
        sentence=SENTENCE,
    ),
    "compare": whole(
        name_b=TEXT,
        num_tokens=COUNT,
        bits_a=NUMBER,
        bits_b=NUMBER,
        chance=NUMBER,
        saved=ROUGH,
        classes=each(
            whole(
                name=TEXT, share=NUMBER, bits_a=NUMBER, bits_b=NUMBER, saved=ROUGH, of_total=NUMBER
            )
        ),
        difference=GAPS,
        tokens=TEXTS,
        sentence=SENTENCE,
    ),
    "memory": whole(
        horizon=maybe(COUNT),
        points=CURVE,
        control=CURVE,
        closers=each(
            whole(low=COUNT, high=maybe(COUNT), count=COUNT, model=ROUGH, ngram=maybe(ROUGH))
        ),
        ngram=maybe(COUNT),
        gradients=each(
            whole(
                name=TEXT,
                cell_type=TEXT,
                parts=each(
                    whole(
                        part=TEXT,
                        gradients=each(ROUGH),
                        slope=maybe(ROUGH),
                        reach=maybe(COUNT),
                        reach_ends=maybe(each(maybe(COUNT), minItems=2, maxItems=2)),
                    )
                ),
            )
        ),
        sentence=SENTENCE,
    ),
    "probe": whole(
        **dict.fromkeys(("accuracy", "majority", "words", "untrained"), INTERVAL),
        **dict.fromkeys(("shuffled", "threshold"), INTERVAL),
        strength=NUMBER,
        num_used=COUNT,
        unit=UNIT,
        few=named(INTERVAL, r"^\d+$"),
        positive=TEXT,
        sizes=each(COUNT, minItems=3, maxItems=3),
        painted=each(whole(label=TEXT, tokens=TEXTS, values=NUMBERS)),
        sentence=SENTENCE,
    ),
    "saliency": whole(
        target=COUNT,
        first=COUNT,
        **dict.fromkeys(("log_p", "baseline", "control"), NUMBER),
        **dict.fromkeys(("grad", "grad_input", "integrated"), NUMBERS),
        swap=each(INTERVAL),
        tokens=TEXTS,
        target_token=TEXT,
        sentence=SENTENCE,
    ),
    "gates": whole(
        rows=each(
            whole(
                layer=COUNT,
                gate={"enum": list("ifgorznh")},
                left=ROUGH,
                right=ROUGH,
                stuck=COUNT,
                control=whole(left=NUMBER, right=NUMBER, stuck=COUNT, spread=GAPS),
                density=each(each(COUNT, minItems=10, maxItems=10), minItems=10, maxItems=10),
                unit_left=NUMBERS,
                unit_right=NUMBERS,
                time_constants=GAPS,
                spread=each(ROUGH),
            ),
            minItems=1,
        ),
        keeps=each(ROUGH),
        control_keeps=GAPS,
        num_tokens=COUNT,
        sentence=SENTENCE,
    ),
    "ablate": whole(
        rows=WITHOUT,
        control=WITHOUT,
        chance=maybe(NUMBER),
        all_units=ROUGH,
        num_targets=COUNT,
        sentence=SENTENCE,
    ),
    "errors": whole(
        rows=each(
            whole(
                name=TEXT,
                count=COUNT,
                share=INTERVAL,
                bits=NUMBER,
                bits_share=INTERVAL,
                control=NUMBER,
            ),
            minItems=1,
        ),
        num_tokens=COUNT,
        error_rate=INTERVAL,
        sentence=SENTENCE,
    ),
    "calibration": whole(
        bars=each(whole(low=NUMBER, high=NUMBER, count=COUNT, confidence=NUMBER, accuracy=ROUGH)),
        ece=INTERVAL,
        null=whole(low=NUMBER, high=NUMBER),
        overconfidence=INTERVAL,
        temperature=ROUGH,
        saved=ROUGH,
        num_tokens=COUNT,
        sentence=SENTENCE,
    ),
    "embed": whole(
        rows=each(whole(symbol=TEXT, going_in=NEAR, going_out=NEAR), minItems=1),
        **dict.fromkeys(("chance_in", "chance_out", "chance_pair"), NUMBER),
        **dict.fromkeys(("above_in", "above_out"), NUMBER),
        tied=FLAG,
        sentence=SENTENCE,
    ),
}
SETTINGS = {
    "summary": whole(),
    "curve": whole(),
    "surprisal": whole(top_k=COUNT, exact=FLAG, adapt=FLAG, totals=FLAG),
    "cells": whole(budget={"enum": ["fast", "normal", "deep"]}, causal=FLAG, feature=TEXTS),
    "cell": whole(unit=UNIT),
    "copying": whole(
        corpus=TEXTS,
        least=each(COUNT),
        num_samples=COUNT,
        samples=maybe(TEXT),
        seed=COUNT,
        length=COUNT,
    ),
    "compare": whole(b=maybe(TEXT), corpus=maybe(TEXTS), order=maybe(COUNT)),
    "memory": whole(lags=COUNT, older=TEXT, targets=COUNT, versus=TEXTS),
    "probe": whole(train=TEXT, dev=maybe(TEXT), test=maybe(TEXT), state=TEXT, seed=COUNT),
    "saliency": whole(at=maybe(COUNT), back=COUNT, seed=COUNT),
    "gates": whole(),
    "ablate": whole(seed=COUNT, units=COUNT),
    "errors": whole(corpus=maybe(TEXTS)),
    "calibration": whole(),
    "embed": whole(neighbours=COUNT, symbols=maybe(TEXTS)),
}
OF_NO_TEXT = {"summary", "curve", "copying", "probe", "embed"}


def schema_of(view):
    """Return the schema of all that a view writes."""
    return whole(
        schema={"const": "charrnn.inspect/1"},
        view={"const": view},
        model=MODEL,
        data={"type": "null"} if view in OF_NO_TEXT else DATA,
        settings=SETTINGS[view],
        units={"type": "object", "minProperties": 1, "additionalProperties": TEXT},
        result=RESULTS[view],
        warnings=TEXTS,
    )
