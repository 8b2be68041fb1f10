# What holds a pod's network, and what reaches a port in it: see program.py beside this file.
# as -o program.o x86_64.s && objcopy -O binary program.o program
.intel_syntax noprefix
.globl _start
_start:
    pop rax                     # argc
    pop rdi                     # argv[0]
    pop rsi                     # argv[1], or 0
    test rsi, rsi
    jnz reach
hold:
    push 34                     # pause()
    pop rax
    syscall
    jmp hold

reach:
    sub rsp, 8192
    mov rdi, rsp
decode:                         # two letters for each byte
    lodsb
    test al, al
    jz decoded
    sub al, 'a'
    shl al, 4
    mov cl, al
    lodsb
    sub al, 'a'
    or al, cl
    stosb
    jmp decode
decoded:
    mov r12, rdi
    sub r12, rsp
    sub r12, 32                 # the length of the address

    xor edi, edi                # setitimer(ITIMER_REAL, first 32 bytes, 0)
    mov rsi, rsp
    xor edx, edx
    push 38
    pop rax
    syscall

    movzx edi, word ptr [rsp+32] # socket(family, SOCK_STREAM, 0)
    push 1
    pop rsi
    xor edx, edx
    push 41
    pop rax
    syscall
    test eax, eax
    js fail
    mov ebx, eax

    mov edi, ebx                # connect(socket, address, length)
    lea rsi, [rsp+32]
    mov edx, r12d
    push 42
    pop rax
    syscall
    test eax, eax
    js fail

    push 1                      # write(1, one byte of zeros, 1)
    pop rdi
    mov rsi, rsp
    mov edx, edi
    mov eax, edi
    syscall

copy:                           # poll({0, POLLIN}, {socket, POLLIN}, no limit)
    push 1
    pop rax
    shl rax, 32
    mov [rsp], rax
    mov ecx, ebx
    or rax, rcx
    mov [rsp+8], rax
    mov rdi, rsp
    push 2
    pop rsi
    push -1
    pop rdx
    push 7
    pop rax
    syscall
    test eax, eax
    js fail
    xor edi, edi                # from stdin to the socket
    mov ebp, ebx
    cmp word ptr [rsp+6], 0
    jne transfer
    mov edi, ebx                # from the socket to stdout
    push 1
    pop rbp
transfer:
    lea r14, [rsp+64]
    mov rsi, r14                # read(from, buffer, 4096)
    mov edx, 4096
    xor eax, eax
    syscall
    test eax, eax
    jle end
    mov r13d, eax
put:
    mov edi, ebp                # write(to, rest, length)
    mov rsi, r14
    mov edx, r13d
    push 1
    pop rax
    syscall
    test eax, eax
    jle end
    add r14, rax
    sub r13d, eax
    jnz put
    jmp copy

end:
    xor eax, eax
fail:
    neg eax                     # exit_group(number of the error)
    mov edi, eax
    mov eax, 231
    syscall
