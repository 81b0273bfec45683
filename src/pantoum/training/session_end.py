"""How a session of a run ends: with the figures of the best model, or early with a checkpoint."""

from __future__ import annotations

from pantoum.inference.evaluate import Evaluation
from pantoum.training.after_step import AfterStep
from pantoum.training.run.by_heart import learned_by_heart
from pantoum.training.run.reporter import passage
from pantoum.training.run_session import RunSession

__all__ = ["finish", "pause"]


def finish(session: RunSession, after: AfterStep) -> Evaluation | None:
    """The budget is used: evaluate the best model on the whole held-out text, write the last files.

    ``StorageError`` if the disk refuses the model or the checkpoint to the last.
    """
    run, state, keep, saving = session.run, session.run.state, session.run.keep_best, after.saving
    saving.wait()  # evaluation and a copy that is being saved need not be in memory at once
    if state.span.by_clock and not after.evaluating.is_current:
        valid = after.evaluating.evaluate()
        state.add_point(valid)
        after.reporting.report(valid)
    with session.phase("evaluation"):
        keep.compact()
        until = session.has_to_end if state.span.by_clock else None
        evaluation = keep.evaluate(session.last_scoring()[0], session.tuning, until)
        if evaluation is not None and run.prepared.valid is not None:
            held = run.prepared.valid.count - 1
            if evaluation.tokens < held:
                session.reporter.note(
                    f"the time was over: the validation figures are of {evaluation.tokens:,} of {held:,} "
                    "held-out tokens, spread over the text"
                )
        held_out = None
        if evaluation is not None and run.prepared.valid is not None:
            model = keep.kept_model()
            held_out = None if model is None else passage(model, run.prepared.valid.tokens)
            del model
    keep.release()
    if (note := learned_by_heart(state.curve, keep.best, state.recipe.model.dropout)) is not None:
        session.reporter.note(note)
    state.finish()
    saving.surely(lambda: saving.model(evaluation))
    run.folder.begin_ending()
    saving.surely(lambda: saving.checkpoint(at_last=True))
    after.reporting.report(ended="finished")
    session.reporter.write_page(evaluation, held_out)
    return evaluation


def pause(session: RunSession, after: AfterStep) -> None:
    """Someone asked to stop: write a checkpoint, and a model if there is none yet.

    ``StorageError`` if the disk refuses one of them to the last.
    """
    run, keep, saving = session.run, session.run.keep_best, after.saving
    saving.surely(lambda: saving.checkpoint(at_last=True))
    if keep.best is None and not keep.judges_nothing and not run.folder.model.exists():
        keep.keep_last(run.backend)
        saving.surely(saving.model)
    after.reporting.report(ended="stopped")
    session.reporter.write_page()
