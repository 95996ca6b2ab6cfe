# What Tab offers in zsh: `zsh -f offers.zsh 'mytls se' [FOLDER of completions]` prints it, one a line. zsh completes on a
# terminal only, so here is one, dumb and wide. The end of its output is the end of the shell in it.
setopt extended_glob
zmodload zsh/zpty
export TERM=dumb
zpty tab zsh -f -i
zpty -w tab "stty cols 200; setopt interactive_comments; fpath=($2 \$fpath); autoload -Uz compinit && compinit -u -D"
zpty -w tab "bindkey '^I' list-choices; print re''ady"
zpty -r tab line '*ready*' || exit
zpty -w -n tab "$1"$'\t\C-a#\n' # asked for and, as a comment, not run
zpty -w tab exit
while zpty -r tab line; do
  [[ $line != (#b)([^ ]##)\ ##--\ * ]] || print -r -- $match[1]
done
