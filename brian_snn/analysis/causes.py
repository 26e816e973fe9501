"""The error of a conversion by the causes that later papers name: clipping, quantisation and unevenness.

Bu et al. (ICLR 2022) split the error of few steps in three. They are terms of our account
(`brian_snn.analysis.error_terms`), which says of each neuron how much of each there is:

==============  ============================  =====================================================================
cause           terms                         what it is
==============  ============================  =====================================================================
clipping        saturation                    an activation above lambda, for which no rate stands
quantisation    residual, levels              a rate is a whole number of spikes over T: the charge that is left, less
                                              what an activation trained with levels was rounded by itself
unevenness      transient                     charge that came at another time than evenly: spiked before the sum turned
                                              negative, or so late that one spike a step was not enough
correction      grid                          what biases or inputs that a method adds make of the target; without any,
                                              rounding to the grid
other           all others                    max pooling of rates that are off, and what the settings add
==============  ============================  =====================================================================
"""

from __future__ import annotations

import pandas as pd

from brian_snn.analysis.error import error_origins
from brian_snn.analysis.measured import Activations
from brian_snn.results.result import Result

#: By the terms of the account.
CAUSES = {
    "saturation": "clipping",
    "residual": "quantisation",
    "levels": "quantisation",
    "transient": "unevenness",
    "grid": "correction",
}
NAMES = (*dict.fromkeys(CAUSES.values()), "other")


def error_causes(result: Result, activations: Activations) -> pd.DataFrame:
    """Split the error of every layer by cause, wherever before it the cause lies.

    Parameters
    ----------
    result, activations
        As for `brian_snn.analysis.error.error_account`.

    Returns
    -------
    causes : DataFrame
        A row per population: ``population``, ``rms`` of its error, in r_max, ``relative``
        to that of the targets, and the share of each of `NAMES`, which add
        up to 1: mean(part x error) / mean(error^2). A share may be negative, of what makes up for others.

    Raises
    ------
    DataError
        As in `brian_snn.analysis.error.error_terms`.
    """
    origins = error_origins(result, activations)
    total, parts = (origins[(origins["term"] == "error") == is_total] for is_total in (True, False))
    cause = parts["term"].map(CAUSES).fillna("other").rename("cause")
    shares = parts.groupby(["population", cause], sort=False)["share"].sum(min_count=1).unstack()
    shares = shares.reindex(columns=list(NAMES)).fillna(0.0)
    return total[["population", "rms", "relative"]].merge(shares.reset_index(), on="population")
