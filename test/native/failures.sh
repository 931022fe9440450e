#!/bin/sh
# Prints one line for each failed test of a program: failures.sh <name> <program>. Reads the program's output in
# <program>.out and its exit code in <program>.code.
name=$1
code=$(cat "$2.code")
sed -n "s/^  FAILED: /  $name: /p" "$2.out"
# With exit code 1 some checks failed, and their sentences are printed already. With any other code the program ended
# during its last sentence.
last=$(sed -n 's/^  \(given .*\)/\1/p' "$2.out" | tail -n 1)
case $code in
  1) grep -q '^  FAILED: ' "$2.out" || echo "  $name: exit code 1" ;;
  124 | 137) echo "  $name: hung, or was killed, in: $last" ;;
  *) echo "  $name: exit code $code in: $last" ;;
esac
