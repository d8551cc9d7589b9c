"""The same model in every twin: weights that were drawn anew are replaced by those of the test's own runner."""

from __future__ import annotations

from ...errors import PeerLost
from ...measuring.orders import Opened, TakeWeights, Unable, WriteWeights, Written
from ..scratch import Scratch
from .messages import OpenInstead, Refused
from .remote import Runner, RunnerBroken
from .remote_bench import BodyLeft, RemoteBench


class Original:
    """The model of the test's own runner, which its twins are to hold, too.

    Its weights are written into a file once, when the first twin needs them: into a folder that only this user may
    enter, and that goes with `close`.
    """

    def __init__(self, runner: Runner, opened: Opened) -> None:
        self._runner, self.opened = runner, opened
        self._folder: Scratch | None = None

    def hand_over(self, twin: RemoteBench, *, whole: bool = True) -> str:
        """Have the twin take over the weights; why it could not, "" where it did.

        `whole`: also those of a model that is not taken apart, with all else that it holds.
        """
        if self._folder is None:
            folder = Scratch("modelperf-weights-")
            reason = self._written(str(folder.path / "weights"))
            if reason:
                folder.remove()
                return reason
            self._folder = folder
        return twin.change(TakeWeights(str(self._folder.path / "weights"), whole))

    def close(self) -> None:
        if self._folder is not None:
            self._folder.remove()

    def _written(self, path: str) -> str:
        self._runner.peer.resume()
        answer = self._runner.peer.ask(WriteWeights(path))
        self._runner.peer.pause()
        if isinstance(answer, Unable):
            return answer.reason
        if isinstance(answer, Refused):
            raise RunnerBroken(f"{self._runner.name} left the test in the middle: {answer.reason}")
        assert isinstance(answer, Written)
        return ""


def refusal(original: Original, twin: RemoteBench) -> str:
    """See to it that the twin, of the same commit, holds the same model; why it does not, "" where it does.

    Weights that nobody can tell, a function's, are trusted. Raises what the runners raise.
    """
    mine, theirs = original.opened, twin.opened
    if _agree(mine, theirs):
        return ""
    untold = mine.weights_untold or theirs.weights_untold
    if mine.path and theirs.path:
        reason = _opened_instead(mine, twin)
    elif untold:
        return f"whether it is the model that was opened on {mine.device} cannot be told: {untold}"
    else:
        reason = original.hand_over(twin)
    if not reason and not _agree(mine, twin.opened):
        reason = "they are others still; read them from a file, or draw them from a fixed seed"
    what = f"it is not the model that was opened on {mine.device}: its weights are others, and could not be replaced"
    return f"{what}: {reason}" if reason else ""


def note_on_weights(original: Original, twin: RemoteBench, commit: str) -> str:
    """Have the twin, of another commit, take over the weights where it has others of the same names, dtypes and shapes.

    What is to be said of that, "" for nothing. Raises what the original's runner raises; what becomes of a twin that is
    lost is told where it is measured.
    """
    mine, theirs = original.opened, twin.opened
    if mine.weights == theirs.weights or not mine.weights or not theirs.weights:
        return ""
    try:
        reason = original.hand_over(twin, whole=False)
    except (PeerLost, BodyLeft):
        if twin.runner.peer.alive:
            raise
        return ""
    if reason:
        return f"the weights at {commit} are others, and each side was measured with its own: {reason}"
    return f"the weights at {commit} are others: both sides were measured with this side's"


def _agree(mine: Opened, theirs: Opened) -> bool:
    """Whether both hold the same weights, none (a function), or one file that nobody can tell the weights of."""
    if mine.weights_untold or theirs.weights_untold:
        return bool(mine.path) and mine.path == theirs.path
    return mine.weights == theirs.weights


def _opened_instead(mine: Opened, twin: RemoteBench) -> str:
    """Why the twin cannot open the file or folder of the original, "" where it has."""
    if mine.path == twin.opened.path:
        return f"each process writes {mine.path} anew; write it into a folder of its own (tmp_path)"
    return twin.change(OpenInstead(twin.opened.device, mine.path))
