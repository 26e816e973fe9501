"""The referee: the spikes of another simulator or a chip, judged by Eq. (4) and by the rules that others follow."""
