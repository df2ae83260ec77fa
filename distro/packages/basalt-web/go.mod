module basalt.local/packages/basalt-web

go 1.27
