"""`valar fetch-omg`: the recordings that the CSV files of OMG-Emotion link to."""
