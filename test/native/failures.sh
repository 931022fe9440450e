#!/bin/sh
# What failed in one test program, a line each: failures.sh <name> <program>, after its output was put into <program>.out and its exit
# code into <program>.code.
name=$1
code=$(cat "$2.code")
sed -n "s/^  FAILED: /  $name: /p" "$2.out"
# 1: checks failed, which the sentences above say. Anything else ended it in the middle of its last sentence.
last=$(sed -n 's/^  \(given .*\)/\1/p' "$2.out" | tail -n 1)
case $code in
  1) grep -q '^  FAILED: ' "$2.out" || echo "  $name: exit code 1" ;;
  124 | 137) echo "  $name: hung, or was killed, in: $last" ;;
  *) echo "  $name: exit code $code in: $last" ;;
esac
