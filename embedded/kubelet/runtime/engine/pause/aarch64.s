// What holds a pod's network, and what reaches a port in it: see program.py beside this file.
// aarch64-linux-gnu-as -o program.o aarch64.s && aarch64-linux-gnu-objcopy -O binary program.o program
.globl _start
_start:
    ldr x1, [sp, #16]           // argv[1], or 0
    cbnz x1, reach
hold:
    mov x0, #0                  // ppoll(nothing, no limit)
    mov x1, #0
    mov x2, #0
    mov x3, #0
    mov x8, #73
    svc #0
    b hold

reach:
    sub sp, sp, #8192
    mov x20, sp
    mov x2, sp
decode:                         // two letters for each byte
    ldrb w3, [x1], #1
    cbz w3, decoded
    ldrb w4, [x1], #1
    sub w3, w3, #'a'
    sub w4, w4, #'a'
    orr w3, w4, w3, lsl #4
    strb w3, [x2], #1
    b decode
decoded:
    sub x19, x2, x20
    sub x19, x19, #32           // the length of the address

    mov x0, #0                  // setitimer(ITIMER_REAL, first 32 bytes, 0)
    mov x1, x20
    mov x2, #0
    mov x8, #103
    svc #0

    ldrh w0, [x20, #32]         // socket(family, SOCK_STREAM, 0)
    mov x1, #1
    mov x2, #0
    mov x8, #198
    svc #0
    tbnz w0, #31, fail
    mov x21, x0

    add x1, x20, #32            // connect(socket, address, length)
    mov x2, x19
    mov x8, #203
    svc #0
    tbnz w0, #31, fail

    mov x0, #1                  // write(1, one byte of zeros, 1)
    mov x1, x20
    mov x2, #1
    mov x8, #64
    svc #0

copy:                           // ppoll({0, POLLIN}, {socket, POLLIN}, no limit)
    mov x0, #0x100000000
    str x0, [x20]
    orr x0, x0, x21
    str x0, [x20, #8]
    mov x0, x20
    mov x1, #2
    mov x2, #0
    mov x3, #0
    mov x8, #73
    svc #0
    tbnz w0, #31, fail
    ldrh w0, [x20, #6]
    mov x22, #0                 // from stdin to the socket
    mov x23, x21
    cbnz w0, transfer
    mov x22, x21                // from the socket to stdout
    mov x23, #1
transfer:
    mov x0, x22                 // read(from, buffer, 4096)
    add x25, x20, #64
    mov x1, x25
    mov x2, #4096
    mov x8, #63
    svc #0
    cmp x0, #0
    b.le end
    mov x24, x0
put:
    mov x0, x23                 // write(to, rest, length)
    mov x1, x25
    mov x2, x24
    mov x8, #64
    svc #0
    cmp x0, #0
    b.le end
    add x25, x25, x0
    subs x24, x24, x0
    b.ne put
    b copy

end:
    mov x0, #0
fail:
    neg x0, x0                  // exit_group(number of the error)
    mov x8, #94
    svc #0
