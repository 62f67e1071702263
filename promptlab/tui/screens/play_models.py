"""The play screen: the models that are asked."""

from __future__ import annotations

from functools import partial

from textual import events, on
from textual.reactive import var

from promptlab.tui.model_news import ModelNews
from promptlab.tui.program import key_of, program
from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.models import ModelList


class ModelActions(PlayState):
    """Ticking models, and fetching those that are missing."""

    model_news: var[ModelNews] = var(ModelNews(), init=False)
    """How they stand, and what is being done with them."""

    @on(events.Mount)
    def _follow_models(self) -> None:
        self.watch(self.app, "models", partial(setattr, self, "model_news"))
        self.watch(self.app, "survey", self.refresh_bindings)

    @on(ModelList.Absent)
    def _absent(self, event: ModelList.Absent) -> None:
        if event.row.server:
            self.notify(f"{event.row.name} asks a server: `promptlab trust` lets it.", severity="warning", markup=False)
            return
        pull = key_of(self, "play.pull")
        self.notify(f"Not on disk. {pull} pulls {event.row.name}.", severity="warning", markup=False)

    def action_pull(self) -> None:
        """Fetch the missing model that is marked, or the default ones that are missing."""
        models = self.query_one(ModelList)
        marked = models.marked if models.has_focus else None
        missing = self.survey.missing if self.survey else ()
        wanted = missing if marked is None or marked.present or marked.server else (marked,)
        if wanted:
            program(self).model_work.pull([row.name for row in wanted])
        else:
            there = key_of(self, "screen.models")
            text = f"Every default model is on disk. Mark another one to pull it, here or with {there}."
            self.notify(text, markup=False)

    def watch_model_news(self, old: ModelNews, news: ModelNews) -> None:
        """Offer to cancel what is under way."""
        if (old.doing is None) != (news.doing is None):
            self.refresh_bindings()

    @property
    def fetching(self) -> bool:
        """Whether something is being done with models that escape would end."""
        return self.model_news.doing is not None

    def stop_fetching(self) -> None:
        """End it."""
        program(self).model_work.cancel()

    def models_allow(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        if action != "pull":
            return None
        return self.survey is not None and any(not row.present and not row.server for row in self.survey.models)
