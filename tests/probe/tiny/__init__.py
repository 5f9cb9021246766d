"""Tests of matrix/probe/tiny."""
