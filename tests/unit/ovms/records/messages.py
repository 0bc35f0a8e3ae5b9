"""What cars sent in the conformance run: repeated here, since that run is not always at hand."""

STATE = (
    "75.5,K,230,16,charging,standard,280,251,16,93,0,43,4,4,0,0,0,0,160.25,200,120,0,0,0,0,0,95,0,0,310,2,3.6,"
    "398.5,98.5,3.7,97.2,-9.1,22,4.3,4.5,1203.4,40.2,0"
)
ENVIRONMENT = "213,216,4,45,40,22,1234,456789,88,3600,21,2,1,1,12.8,4,12.7,16,33,1.2,20"
LOCATION = "22.274165,114.185715,124,34,1,1,88,1234,1,-3.6,1200,320,7.5,93,AA,9,1.1,87,98"
FOUR_TYRES = "31.2,22,32.1,23,30.9,24,31.7,25,1"
TYRES = "4,fl,fr,rl,rr,4,250,251.5,240,241,1,4,30,31,29,28,0,0,-1,4,0,1,2,0,1"
FIRMWARE = "3.3.004-12-g1a2b3c,WVWZZZAUZFW000001,23,1,VWEG,Hologram,12000,1796083200,OVMS v3.1,LTE"
CAPABILITIES = "C1-6,C10-12,C15-24,C40-41,C49"

# Shorter than any module sends them now: the fields that are missing are null.
SHORT_STATE = "75,K,,0,stopped"
SHORT_ENVIRONMENT = "0,8,4,10"
SHORT_LOCATION = "22.27,114.18"
SHORT_FOUR_TYRES = "31,22"
