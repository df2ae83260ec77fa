# The guest of the KVM probe (accelerator.rs), in the syntax of GNU as. Its bytes stand in guest.rs; to make them anew:
#
#     as --64 -o guest.o guest.S && ld -m elf_x86_64 -Ttext=0 --oformat binary -o guest.bin guest.o && od -An -tx1 -v guest.bin
#
# It does what a kernel does and an instruction emulator cannot, or not in time: long mode with page tables, SSE, an
# exception, a reload of CR3, the way to user mode (sysret) and back (syscall), and twenty million rounds of a loop in
# user mode. Then it writes 42, as SSE added it up, to the port of isa-debug-exit: QEMU ends with status 85.

    .set BASE, 0xf0000
    .code16
start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl $0x2007, 0x1000                # page tables for the first 2 MiB; memory begins as zeroes
    movl $0x3007, 0x2000
    movl $0x0087, 0x3000
    movl $0x620, %eax
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              # EFER: long mode, syscall
    rdmsr
    orl $0x101, %eax
    wrmsr
    lgdtl %cs:gdtr
    movl %cr0, %eax
    andl $0x9ffffffb, %eax
    orl $0x80000003, %eax
    movl %eax, %cr0
    ljmpl $8, $(BASE + long)
    .code64
long:                                   # 64 bits, page tables on
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl $0x7000, %esp
    cpuid
    movl $21, %eax
    movq %rax, %xmm0
    paddq %xmm0, %xmm0                  # 21 + 21
    movq %xmm0, %rbp
    movl $handler, %eax
    orl $0x80000, %eax
    movl %eax, 0x4030
    movl $0x000f8e00, 0x4034
    lidt idtr + BASE
    int3                                # to the handler and back
    movq %cr3, %rax                     # forget all translations
    movq %rax, %cr3
    movl $0xc0000081, %ecx              # STAR and LSTAR: where syscall goes
    xorl %eax, %eax
    movl $0x00100008, %edx
    wrmsr
    incl %ecx
    movl $(BASE + back), %eax
    xorl %edx, %edx
    wrmsr
    movl $(BASE + user), %ecx
    movl $2, %r11d
    sysretq
user:                                   # ring 3
    movl $20000000, %eax
again:
    decl %eax
    jnz again
    syscall
back:                                   # ring 0 again
    movl %ebp, %eax
    outb %al, $0xf4
    hlt
handler:
    iretq
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cff3000000ffff
    .quad 0x00affb000000ffff
gdtr:
    .word gdtr - gdt - 1
    .long BASE + gdt
idtr:
    .word 0x3f
    .quad 0x4000
