"""`simulate` and `stream`: a job in shards, run in processes side by side or on a cluster; `build`: a program of it."""
