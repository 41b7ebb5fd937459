"""What has become of clips and features between two times, in words."""
