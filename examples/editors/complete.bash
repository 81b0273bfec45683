# The next word in bash: Alt-/ completes the word before the cursor, or adds the most probable next word.
#
#     PANTOUM_MODEL=runs/book; source examples/editors/complete.bash
#
# The model is started at the first use, once per shell. PANTOUM_OPTIONS=--adapt lets it learn from the lines
# in which it was asked.

_pantoum_word() {
  if [[ -z ${PANTOUM_WORDS_PID:-} ]] || ! kill -0 "$PANTOUM_WORDS_PID" 2>/dev/null; then
    : "${PANTOUM_MODEL:?set it to a model}"
    { coproc PANTOUM_WORDS { pantoum complete "$PANTOUM_MODEL" --count 2 ${PANTOUM_OPTIONS:-}; }; } 2>/dev/null
  fi
  local before=${READLINE_LINE:0:READLINE_POINT} after=${READLINE_LINE:READLINE_POINT} words begun
  printf '%s\n' "${before//\\/\\\\}" >&"${PANTOUM_WORDS[1]}"
  IFS=$'\t' read -r -t 5 -a words <&"${PANTOUM_WORDS[0]}" || return
  [[ $before =~ [[:alnum:]_]+$ ]] && begun=${BASH_REMATCH[0]}
  local word=${words[0]}
  [[ $word != "$begun" ]] || word=${words[1]}  # what is there already is no help
  [[ -n $word ]] || return
  word=${word//\\[nrt]/ }  # one line has no lines
  READLINE_LINE=${before%"$begun"}$word$after
  READLINE_POINT=$((READLINE_POINT - ${#begun} + ${#word}))
}

if [[ $- == *i* ]]; then
  bind -x '"\e/": _pantoum_word'
fi
