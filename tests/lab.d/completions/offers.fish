# What Tab offers in fish: `fish offers.fish 'mytls se'` prints it, one a line.
complete --do-complete $argv[1] | string replace --regex '\t.*' ''
