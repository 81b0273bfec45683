" The next words in Vim 8.2 or later: CTRL-X CTRL-U in insert mode shows the most probable ones.
"
"     let g:pantoum_model = 'runs/book'
"     source examples/editors/pantoum.vim
"
" The model is started at the first use, once. It reads the 20 lines before the cursor. To let it learn from
" what you type: let g:pantoum_options = ['--adapt']

function! s:Ask(text) abort
  if !exists('s:job') || job_status(s:job) !=# 'run'
    let l:command = ['pantoum', 'complete', g:pantoum_model, '--count', '9'] + get(g:, 'pantoum_options', [])
    let s:job = job_start(l:command, {'err_io': 'null'})
  endif
  let l:channel = job_getchannel(s:job)
  let l:escaped = substitute(escape(a:text, '\'), "\n", '\\n', 'g')
  let l:words = split(ch_evalraw(l:channel, l:escaped . "\n", {'timeout': 10000}), "\t")
  return map(l:words, {_, word -> substitute(word, '\\[nrt]', ' ', 'g')})
endfunction

function! PantoumComplete(findstart, base) abort
  let l:line = strpart(getline('.'), 0, col('.') - 1)
  if a:findstart
    let s:line = l:line
    return match(l:line, '\k*$')
  endif
  let l:lines = getline(max([1, line('.') - 20]), line('.') - 1)
  return s:Ask(join(l:lines + [s:line], "\n"))
endfunction

set completefunc=PantoumComplete
