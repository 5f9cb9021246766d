"""Saves a model under ZeRO-3 the way users do after training, loads that in one process and looks at every tensor."""

from matrix.check_protocol import CheckDescription, CheckResult, CheckSession, CheckWords, Flaws


def run(session: CheckSession) -> CheckResult:
    """Returns what is wrong with the model that was saved; nothing where ZeRO-3 did not shard it."""
    if not session.partitioned:
        return CheckResult()
    _save(session)
    return CheckResult(_judge_saved(session))


def _save(session: CheckSession) -> None:
    """Makes an engine, gathers the 16-bit state on rank 0, and calls `save_pretrained` there."""
    import deepspeed
    import torch

    # Whatever the load lost must not count against saving: the model gets its right values first.
    session.fill(session.expected)
    trainable = [parameter for parameter in session.model.parameters() if parameter.requires_grad]
    # AdamW refuses an empty list, which a model with only frozen parameters would give.
    optimizer = torch.optim.AdamW(trainable) if trainable else None
    with session.under_zero3():
        engine, *_ = deepspeed.initialize(model=session.model, optimizer=optimizer, config=session.config)
        try:
            with session.poisoned():
                # On all ranks: it gathers the parameters, though only rank 0 gets them.
                state = engine._zero3_consolidated_16bit_state_dict()
            if torch.distributed.get_rank() == 0:
                with session.poisoned(), session.timed():
                    session.save(session.folder, state_dict=state)
        finally:
            session.destroy(engine)


def _judge_saved(session: CheckSession) -> Flaws:
    """Returns what is wrong after a plain load of what rank 0 saved. Only rank 0 looks."""
    import torch

    if torch.distributed.get_rank() != 0:
        return {}
    with session.poisoned(), session.timed():
        model = session.model_class.from_pretrained(session.folder)
    return session.judge(model)


CHECK = CheckDescription(
    words=CheckWords(
        verb="save",
        doing="saving",
        call="save_pretrained",
        meaning="a model under ZeRO-3 is saved as users do after training, then loaded plainly, and compared",
    ),
    run=run,
    after=("load",),
    needed_for_safe=True,
    needs_saved=True,
    in_one_process=True,
)
